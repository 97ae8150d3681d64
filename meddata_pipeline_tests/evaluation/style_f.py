"""Author F: prose of wards, registers and report footers, with many people whom no table names. Rules may be developed on it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from random import Random
from typing import ClassVar

from meddata_pipeline_tests.evaluation import values
from meddata_pipeline_tests.evaluation.notes import Piece
from meddata_pipeline_tests.evaluation.style import Case, People, Section, Style

#: Names that are words as well; the first character is the surname.
_WORDS_AS_NAMES = (
    *("文静", "黄金", "方向", "白雪", "江山", "高洁", "高峰", "黄河", "白云", "金星", "田野", "成功", "和平", "安康"),
    *("向阳", "常青", "平安", "时光", "温馨", "夏天", "夏雨", "秦岭", "黎明", "雷雨", "杜鹃", "丁香", "安宁", "宁静"),
    *("高兴", "林海", "花蕾", "江河", "强健", "于飞", "马达", "燕子", "柏林", "阳光", "石竹", "万年", "路遥", "谷雨"),
)


class _People(People):
    """As ``People``, and one in twenty has a name that is a word as well."""

    def name(self, rng: Random) -> tuple[str, int]:
        if rng.random() < 0.05:
            return rng.choice(_WORDS_AS_NAMES), 1
        return super().name(rng)


def _bare(text: str) -> str:
    """Without commas and full stops except at the ends, where a value stands beside them."""
    return text[:1] + text[1:-1].replace("，", "").replace("。", "") + text[1:][-1:]


def _lines(text: str) -> str:
    return text.replace("，", " ").replace("。", "\n").replace("；", " ")


def _half(text: str) -> str:
    return text.translate(str.maketrans("，：；（）", ",:;()"))


class StyleF(Style):
    """Prose of wards, short lines, names glued to words and digits."""

    name = "F"
    people: ClassVar[People] = _People(
        surnames="张陈王周杨赵李孙吴刘徐朱何郑高许沈严陆金蔡罗谢唐冯苏程曹潘施"
        "葛殷翁柳鲍齐毕骆管卓冉詹盛欧凌霍樊路游辛申尚司柯甘焦解裴屈阮祝饶车侯邬涂聂华包单耿"
        "逄亓仝郇阚佘昝缪宓卞鄢郜谌綦沙那敖阙冼麦幸闵危郁芦应巩鞠丛岑边温",
        given="芬琴莉萍蓉菊香珠琼蕾倩琳璐颖薇慧妍佳思雨桐语嫣若萱可馨子墨睿博奕辰皓嘉铭承昊天佑启航鹏飞峰松林森根生发贵富来"
        "喜顺堂义仁信忠孝贤良才学栋炳坤坚恒乐羽凌云山川江波源泉冰洁雪晶莹亮旭东升阳彬丹琪瑶钰璇巧凡帆远卫国胜利军伟静涛玉",
        compound=("司徒", "东方", "夏侯", "端木", "公孙", "宇文", "钟离", "南宫", "呼延", "澹台"),
        minority=(
            *("阿依努尔·买买提", "艾山江·热合曼", "努尔兰·哈那提", "赛里克·胡安别克", "帕提古丽", "次仁央宗"),
            *("格桑多吉", "布赫巴雅尔", "那仁花", "吉克阿依", "沙马拉且", "阿孜古丽·司马义", "洛桑旺堆"),
        ),
        latin=(
            *(("Zhao", "Qiumei"), ("Sun", "Tianyou"), ("Zheng", "Xiaobo"), ("Xu", "Lin")),
            *(("Huang", "Yutong"), ("Lyu", "Ziqing"), ("Shen", "Kailun")),
        ),
    )
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "complaint": (
            *("胸骨后烧灼感", "右季肋区胀痛", "晨僵", "夜间阵发性呼吸困难", "言语含糊", "血尿", "牙龈出血", "高热寒战"),
            *("黄染进行性加深", "解柏油样便", "颈项强直", "双手静止性震颤", "步态不稳", "易激惹", "阵发性心悸", "纳差"),
        ),
        "disease": (
            *("社区获得性肺炎", "肝硬化失代偿期", "急性胰腺炎", "股骨颈骨折", "蛛网膜下腔出血", "系统性红斑狼疮"),
            *("帕金森综合征", "克罗恩病活动期", "库欣病", "雷诺综合征", "白塞病", "马凡综合征", "贝尔麻痹", "皮克病"),
            *("川崎病", "艾迪生病", "惠普尔病", "莱姆病", "范科尼综合征", "高安动脉炎", "毛细支气管炎", "易栓症"),
            *("华支睾吸虫病", "金葡菌败血症", "严重联合免疫缺陷", "石棉肺", "沙眼", "白癜风", "毛霉菌病", "水痘"),
        ),
        "drug": (
            *("哌拉西林他唑巴坦4.5g", "美罗培南1.0g q8h", "氨溴索30mg", "泮托拉唑40mg ivgtt", "呋塞米20mg iv"),
            *("倍他乐克47.5mg", "立普妥20mg qn", "可待因", "舒普深3.0g", "达美康", "安定10mg im", "白蛋白10g"),
            *("沙美特罗替卡松", "易善复", "左甲状腺素钠50μg", "强的松10mg", "万古霉素1.0g", "艾司唑仑1mg", "华蟾素"),
        ),
        "herb": (
            *("白术12g", "黄芩9g", "金银花15g", "柴胡6g", "苏子10g", "杜仲15g", "车前子20g", "石斛10g", "葛根15g"),
            *("川贝6g", "杭白菊10g", "怀牛膝15g", "路路通10g", "王不留行9g", "徐长卿9g", "马齿苋30g", "左金丸"),
            *("刘寄奴10g", "安神丸", "白虎汤加减", "金匮肾气丸", "龙胆泻肝丸", "温胆汤", "程氏萆薢分清饮", "丁香6g"),
        ),
        "sign": (
            *(
                "神清，精神可，饮食睡眠欠佳",
                "平卧位，呼吸平稳",
                "巩膜轻度黄染",
                "双侧瞳孔等大等圆，直径3mm",
                "安静入睡",
            ),
            *(
                "腹膨隆，移动性浊音阳性",
                "布氏征阴性",
                "霍夫曼征（+）",
                "左侧巴氏征可疑",
                "罗氏征阴性",
                "骶尾部皮肤完整",
            ),
            *("双肺可闻及少许湿啰音", "伤口敷料干燥", "引流管通畅，引出淡红色液体", "心音有力，律不齐"),
        ),
        "finding": (
            *("头颅CT平扫未见明显异常", "胸片示双下肺斑片影", "腹部增强CT示胰周渗出", "超声示胆总管扩张"),
            *("心电图示房颤", "骨髓象示增生活跃", "牙片示根尖区阴影", "肺功能示中度阻塞性通气功能障碍"),
        ),
        "procedure": (
            *("右侧人工股骨头置换术", "腹腔镜下胆总管切开取石术", "剖宫产术", "冠脉造影", "气管切开术", "脾切除术"),
            *("毕Ⅱ式胃大部切除术", "惠普尔手术", "PICC置管术", "支气管镜检查", "腰椎穿刺术", "甲状腺次全切除术"),
        ),
        "care": (
            *("换药", "导尿", "吸痰", "翻身拍背", "鼻饲", "静脉采血", "雾化吸入", "更换引流袋", "口腔护理", "测血糖"),
        ),
        "tool": (
            *(
                "艾利斯钳",
                "柯克钳",
                "福勒管",
                "布巾钳",
                "马丁氏刮匙",
                "弗利导尿管",
                "胡桃钳",
                "克氏针",
                "斯氏针",
                "易飞针",
            ),
        ),
        "span": ("2天", "4小时", "1周", "20分钟", "6年", "近3月", "半日", "10天"),
    }
    fillers: ClassVar[dict[str, tuple[str, ...]]] = {
        "tie": ("儿子", "女儿", "妻子", "丈夫", "母亲", "父亲", "弟弟", "儿媳", "孙女", "外甥"),
        "sex": ("男", "女"),
        "shift": ("白班", "小夜班", "大夜班", "中班"),
        "mark": (":", "：", " ", "", "/", "："),
        "dept": ("普外科", "麻醉科", "影像科", "病理科", "呼吸科", "肾内科", "营养科", "药剂科", "感染科"),
    }
    titles: ClassVar[tuple[str, ...]] = (
        *("主任", "副主任医师", "主治医师", "教授", "医生", "副教授", "主任医师", "医师", "住院总", "大夫"),
    )
    courtesies: ClassVar[tuple[str, ...]] = ("女士", "先生", "阿姨", "大爷", "老师")
    hospitals: ClassVar[tuple[str, ...]] = (
        *("宿迁市钟吾医院", "赣州市立医院", "洛阳市中心医院", "青岛市城阳区人民医院", "柳州市工人医院"),
        *("遵义医科大学附属口腔医院", "大同市第三人民医院", "湖州市妇幼保健院", "绵阳市涪城区社区卫生服务中心"),
    )
    wards: ClassVar[tuple[str, ...]] = (
        *("呼吸内科二病区", "骨科一病区", "肝胆外科四病区", "产科三病区", "9病区", "神经外科五病区", "儿科二病区"),
    )
    sections: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "姓名 {patient} 性别 {sex} 年龄 {age} 床号 {bed} 住院号 {record_no} 日期 {date}",
                "护理记录单 {ward} {bed}床 {patient} 住院号：{record_no} {date}",
                "转诊单\n兹有患者{patient}，{age}，住院号：{record_no}，因{disease}转往{other_hospital}进一步诊治，转出日期：{date}。",
                "手术记录\n病员：{patient}/{sex}/{age} 住院号：{record_no}\n手术日期：{date}",
                "出院小结 姓名:{patient} 性别:{sex} 年龄:{age} 住院号:{record_no} 入院日期:{past} 出院日期:{date}",
                "{date} {ward}交班报告 \n{bed}床{patient} {age} 住院号：{record_no} {disease}",
                "口腔门诊病历 就诊日期：{date} 姓名 {spaced} {sex} {age} 就诊卡号：{visit_no}",
                "{bed}床 {spaced}，住院号：{record_no}，{date}转科交接单",
                "死亡病例讨论记录 讨论日期：{date} 死者：{patient} 住院号：{record_no} 主持人：{titled}",
                "受检者|{patient}|{sex}|{age}|住院号：{record_no}|检查日期：{date}",
                "新生儿记录 母亲{patient}之子 {date}娩出 住院号：{record_no} 父亲{kin}",
                "预防接种卡 受种者{mark}{patient} 监护人{mark}{kin} 建卡日期：{date} 门诊号：{visit_no}",
                "姓名 性别 年龄 床号 住院号 入院日期\n{patient} {sex} {age} {bed} {record_no} {past}",
            ),
        ),
        (
            0.6,
            (
                "联系人{mark}{kin} 关系 {tie} 电话：{kin_mobile} 本人手机：{mobile}",
                "家庭住址：{address}，家属{kin2}电话：{new_mobile}。",
                "身份证号：{resident_id}，紧急联系人{kin2}（{tie}）手机：{new_mobile}。",
                "{tie}{kin2}，手机{new_mobile}；{tie}{kin}，手机{kin_mobile}。",
                "陪护人员{outer}，身份证号码：{resident_id}，联系电话：{new_mobile}。",
                "监护人 {kin} 电话 {kin_mobile} 现住址：{address}",
                "送诊人：{outer}（邻居），联系电话：{new_mobile}，家属尚未联系上。",
                "医保卡号：{insurance}，经办人{kin2}，联系电话：{mobile}。",
                "户主{mark}{kin2} 家庭医生{mark}{doctor} 联系电话：{landline}",
            ),
        ),
        (
            0.85,
            (
                "{bed}床{mate}今日出院，{bed}床{mate_b}转ICU，{bed}床{patient}明日手术，已备皮。",
                "{shift}交班：{bed}床{veiled}，{sign}，{drug}续滴中，嘱{shift}注意观察。",
                "{shift}：新入{n}人，{bed}床{patient}（{disease}）、{bed}床{mate}（{disease}）、{bed}床{mate_b}（待产）。",
                "08:00予{patient}{care}，09:30协助{mate}{care}，过程顺利。",
                "予{patient}{care}时诉{complaint}，{sister}在场，即告{titled}，遵医嘱予{drug}。",
                "14:20 患者{complaint}，测血压{bp}，呼叫值班医生{doctor}，予物理降温，责任护士{nurse}守护床旁。",
                "{bed}床{mate}与{bed}床{patient}床位对调，{shift}知晓。",
                "本班由{nurse}、{tech}值守，{outer}实习，{bed}床{patient}夜间{sign}。",
                "交班者{nurse}接班者{tech}，物品齐全，{bed}床{mate}欠费，已催。",
                "夜间{mate_veiled}家属大声喧哗，影响{patient}休息，经劝说后安静。",
                "{patient}外出检查未归，由{kin2}陪同，电话：{new_mobile}，{part_date}未返病房。",
                "同室病友{mate}代诉：患者夜间曾跌倒一次，{tie}{kin2}当时不在场。",
                "{bed}床 {patient} 术后第{n}天 {sign} 已{care}\n{bed}床 {mate} 术后第{n}天 同上\n{bed}床 {mate_b} 今日拆线",
                "责护{nurse}宣教，患者及陪护{kin2}能复述，{sister}抽查，{sign}。",
            ),
        ),
        (
            0.75,
            (
                "今日{titled}查房，{sign}，指示停{drug}，加用{drug}。",
                "{doctor}主治医师补充：{disease}不除外，注意与{disease}鉴别。",
                "{date} {doctor}主任查房：患者{complaint}较前好转，{doctor2}住院医师汇报病史，同意目前治疗。",
                "随{titled}查房，{outer}进修医师及{outer}研究生参加，{sign}。",
                "查房时{patient}诉{complaint}，{kin2}补充说夜间明显，{titled}考虑{disease}。",
                "{titled}看过病人，意见：1.{drug}；2.复查{finding}；3.请{titled}会诊。",
                "上级医师{doctor}指示，{patient}目前{disease}诊断明确，继续{drug}。",
                "今晨{doctor2}医生巡视，{patient}{sign}，血压{bp}。",
                "经{doctor}/{doctor2}讨论后，予{drug}联合{drug}，血压{bp}。",
                "科主任{doctor}带领{doctor2}、{outer}、{tech}等查看患者，一致认为{disease}可能性大。",
                "中医科{doctor2}会诊，处方：{herb}、{herb}、{herb}，共{n}剂，水煎服。",
            ),
        ),
        (
            0.5,
            (
                "术者{mark}{doctor} 助手{mark}{doctor2} {tech} 器械护士{mark}{nurse} 麻醉{mark}{outer}",
                "主刀{doctor}，一助{doctor2}，二助{outer}，洗手护士{nurse}，巡回{tech}，行{procedure}。",
                "麻醉者：{outer} ASA II级 BIS 45 手术者：{doctor} 手术名称：{procedure}",
                "由{doctor}主刀行{procedure}，{doctor2}配合，术中以{tool}钳夹，出血约{n}0ml，标本交{kin2}过目后送检。",
                "手术医生 {doctor}、{doctor2}  器械 {nurse}  巡回 {tech}  灌注师 {outer}",
                "术中请{titled}台上会诊，{outer}（外院专家）现场指导，备{tool}。",
                "三方核查：手术医师{doctor} 麻醉医师{outer} 巡回护士{nurse} 患者{patient} 术式{procedure}",
                "术后由{nurse}、{outer}护送返回病房，与{tech}交接，BP {bp}。",
                "输血核对者{nurse}/{tech}，受血者{patient}，血型O型RhD(+)，悬浮红细胞2U。",
                "第一助手{doctor2}因故离台，由{outer}接替，器械清点{nurse}、{tech}无误。",
            ),
        ),
        (
            0.5,
            (
                "邀请{dept}会诊 申请医师{mark}{doctor} 目的：{complaint}{span}，请协助诊治。",
                "会诊意见（{outer}）：病史敬悉，{sign}，考虑{disease}，建议{drug}。谢邀！",
                "{dept}{titled}会诊后认为{disease}，{procedure}暂缓，电话请示{doctor}同意。",
                "{other_hospital}{outer}教授远程会诊，建议加用{drug}，{part_date}复查。",
                "尊敬的{outer}医生：您好！我院患者{patient}因{disease}住院{span}，现转请贵科协助，谢谢。{doctor}",
                "曾由{other_hospital}{outer}主任诊治，{past}行{procedure}，术者{outer}，术后服{drug}。",
                "转出科室交接人{nurse}，转入科室接收人{tech}，随行家属{kin2}，带入{drug}。",
                "120医生{outer}、护士{outer}送入，途中予{drug}，司机{outer}协助搬运，血压{bp}。",
                "外院带片经{outer}医师阅片，示{finding}，与{titled}意见一致。",
                "会诊医师签名{outer} 到达时间{date}",
                "乡村医生{outer}代诉，患者{span}前{complaint}，曾予{drug}肌注。",
            ),
        ),
        (
            0.4,
            (
                "{doctor}主任医师：患者{disease}诊断成立，{finding}支持。\n{doctor2}副主任医师：同意，建议{procedure}。\n{outer}药师：{drug}需调整剂量。",
                "参加人员：{doctor}、{doctor2}、{outer}、{nurse}、{tech}、{outer}；记录人{outer}。",
                "{titled}：死亡原因为{disease}。\n{outer}主任医师：抢救及时。\n{outer}（麻醉科）：同意以上意见。",
                "MDT讨论：{outer}（{dept}）认为{finding}；{outer}（{dept}）建议{procedure}；{doctor}总结：先予{drug}。",
                "主持人{mark}{doctor} 汇报人{mark}{doctor2} 记录{mark}{outer}",
                "{outer}发言：{disease}可解释全部症状，{doctor2}持不同意见，认为应排除{disease}。",
                "抢救参加人员 {doctor} {doctor2} {nurse} {tech} {outer}，持续{n}0分钟，家属{kin2}在场。",
                "死亡时间由{doctor}宣布，{kin2}拒绝尸检并签字，遗体由{outer}（殡仪馆）接走。",
                "讨论结论：{doctor}与{outer}意见一致，{patient}预后差，{tie}{kin}知情。",
            ),
        ),
        (
            0.55,
            (
                "告知家属{kin}病情，其表示理解，授权委托人{kin2}签字。",
                "被委托人{mark}{kin2} 与患者关系{mark}{tie} 见证人{mark}{outer}",
                "患者之子（{kin2}）、儿媳（{outer}）到场，反复沟通后拒绝{procedure}。",
                "与患者{tie}{kin2}谈话，{titled}在场，告知{disease}预后不良，同意签字。",
                "{courteous}情绪激动，{complaint}，{nurse}安抚后好转。",
                "民警{outer}、{outer}到场询问，{officer}告知{tie}尚在途中，伤情记录已封存。",
                "打架致伤，对方{outer}亦在我院就诊，派出所{officer}经手。",
                "本人{kin2}自愿放弃{procedure}，后果自负，见证人：{nurse}。",
                "家属{kin2}({tie})要求会见{titled}，已转告。",
                "肇事司机{outer}垫付押金，保险员{outer}来访，{patient}拒绝调解。",
                "律师{outer}受{kin2}委托复印病历，病案室{outer}接待，{part_date}取件。",
                "社工{outer}联系{patient}{tie}{kin2}，救助金由{kin2}代领。",
                "电话告知{kin2}，其称{outer}为实际照料者，{tie}{kin}在外地务工，明日到院。",
            ),
        ),
        (
            0.5,
            (
                "报告医师{mark}{tech} 审核医师{mark}{doctor2} 报告日期：{date}",
                "采样人{mark}{nurse} 送检{mark}{doctor} 检验者{mark}{tech} 审核者{mark}{outer}",
                "病理诊断：{disease}。取材{tech} 切片{outer} 初诊{doctor} 复核{doctor2}",
                "WES报告 Proband: {pinyin} 中文名{patient} 先证者之母{kin2} NM_000059.4 杂合 分析{outer} 签发{tech}",
                "家系样本：父{kin2}，母{outer}，先证者{patient}，检出杂合变异，遗传咨询师{outer}。",
                "{finding} 诊断医师:{tech} 书写医师:{outer} 审核:{doctor2}",
                "{pinyin} M 045Y CT CHEST 技师{tech} 检查号：{exam_no} {finding}",
                "标本接收{tech}，危急值报告人{outer}，接电话者{nurse}，血钾{potassium}。",
                "超声描述：{finding}。检查者 {spaced_tech} 记录者 {spaced_outer}",
                "病理号：{path_no} 送检医师 {doctor}（{dept}） 会诊专家 {outer}",
                "输入:{nurse} 核收:{tech} 打印:{outer}",
            ),
        ),
        (
            0.5,
            (
                "{tooth}、{tooth}牙髓失活，{tooth}叩（+），{doctor}医师行RCT，护士{nurse}四手操作，技工{outer}取模。",
                "牙位{tooth} 烤瓷冠试戴 医师{mark}{doctor} 护士{mark}{nurse} 患者{patient}满意",
                "接种疫苗：乙肝第{n}针 接种者{nurse} 预检{tech} 受种者{patient}留观30分钟无异常",
                "产妇{patient}，助产士{nurse}，接生者{doctor2}，新生儿评分9分，父亲{kin2}剪脐带。",
                "{outer}之女，出生后{sign}，Apgar 10分，予{drug}。",
                "随访登记\n1 {patient} {mobile} 已接通 症状缓解\n2 {outer} {new_mobile} 未接\n3 {outer} 〃 由{kin2}代答",
                "序号 姓名 性别 随访结果 随访人\n01 {outer} 女 {complaint} {nurse}\n02 {outer} 男 同上 {tech}",
                "密接者{outer}、{outer}，与{patient}同住，流调员{outer}，采样{nurse}。",
                "慢病建档：{patient}，{disease}，签约医生{doctor}，村医{outer}每月入户一次。",
                "家族史：外祖父{outer}患{disease}，舅舅{outer}体健，表妹{outer}待查。",
                "电话随访{later} 接听人{kin2} 诉{patient}已能下地 随访者{nurse}",
                "同批食用者{outer}（{sex}，{complaint}）{outer}（{sex}，无症状）{outer}（{sex}，{complaint}）",
                "肺结核患者管理卡 患者 {spaced} 督导员 {spaced_outer} 服药：{drug}",
            ),
        ),
        (
            0.85,
            (
                "记录者{mark}{nurse}\n{date}",
                "医师签名{mark}{doctor}\n护士签名{mark}{nurse}\n{date}",
                "{doctor}/{nurse} {date}",
                "质控医师 {doctor2} 质控护士 {nurse} 科主任 {doctor} {date}",
                "经治医师{spaced_doctor} 上级医师{doctor2} {date}",
                "交班人：{nurse}；接班人：{tech}；护士长：{outer}；{date}",
                "签字：{kin2}（{tie}） 谈话医师：{doctor} {date}",
                "{date} {doctor2}",
                "录入 {nurse} 校对 {tech} {date}",
                "({doctor}) {date} 科室电话：{landline}",
            ),
        ),
    )
    free: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "神清 精神可 饮食睡眠欠佳 二便调 {sign}",
                "患者{span}前出现{complaint}，高热不退，易激惹，严重时不能平卧，程度逐渐加重。",
                "8床今日手术，{bed}床拟出院，加{n}床待检查，余病情平稳，{sign}。",
                "主诉：{complaint}{span}，伴{complaint}。常规处理后无好转。",
                "白班：出院{n}人，新入{n}人，危重1人，一级护理{n}人。{sign}。",
                "于{span}前无诱因{complaint}，曾于当地诊所治疗，药名不详，时有反复，何时加重不详。",
            ),
        ),
        (
            1.0,
            (
                "考虑{disease}，需与{disease}、{disease}相鉴别，金标准为病理活检。",
                "诊断方向：{disease}；治疗方案见下；任何变化及时报告上级医师。",
                "{disease}合并{disease}，高危，万一破裂后果严重，应向家属反复交代。",
                "{tooth}残根，{tooth}Ⅲ度松动，{tooth}缺失，全口牙石（++），边缘性龈炎，安氏Ⅱ类错𬌗。",
                "拟诊{disease}，查肥达试验、外斐反应、库姆斯试验、华氏反应均阴性。",
                "病变累及希氏束及浦肯野纤维，康氏综合征不除外；{disease}可能。",
                "段落性肠壁增厚，田字格样改变，余段未见异常，{finding}。",
            ),
        ),
        (
            1.0,
            (
                "予{drug}、{drug}，左侧卧位，高流量吸氧，安静环境，常规护理。",
                "处方：{herb}，{herb}，{herb}，{herb}，{herb}，水煎服，日一剂，分温再服。",
                "方用{herb}合{herb}，去黄连，加{herb}，连服{n}剂，若便溏则减石膏。",
                "停{drug}改{drug}，向上滴定，应激性溃疡预防用药，严密监测。",
                "备{tool}、{tool}各一把，{procedure}后冲洗，清点器械纱布无误。",
                "毛巾温水擦浴，白天开窗，宁静休息，平卧6小时，钟表置床旁，计出入量。",
                "{care}{n}次，{care}每班一次；高蛋白饮食，少食多餐，忌辛辣，汤类为主。",
                "左室舒张功能减低，于收缩期见反流，{finding}，高侧壁缺血。",
            ),
        ),
        (
            0.9,
            (
                "血常规：白细胞{measure}，中性粒{measure}；尿常规、便常规正常；金黄色葡萄球菌阳性，白色念珠菌阴性。",
                "瞿氏法染色，革兰阴性杆菌，巴氏涂片Ⅱ级，格里森评分7分，{finding}。",
                "格拉斯哥昏迷评分13分，布雷登评分{n}分，莫尔斯跌倒评分45分，巴塞尔指数60分，{sign}。",
                "马尾神经受压，黄韧带肥厚，方肩畸形，杜氏征阳性，托马斯征阴性，{finding}。",
                "心尖部舒张期杂音，奥-弗杂音，柯氏音清晰，毛细血管搏动征（+），BP {bp}。",
                "石蜡切片、苏木素染色，刚果红阴性，高倍镜下见里-施细胞，{disease}。",
                "陈旧性心梗，陈旧性骨折，陈施呼吸，{finding}。",
                "金属伪影，牛眼征，白线征阳性，麦氏点压痛，{sign}。",
            ),
        ),
        (
            0.9,
            (
                "向家属交代病情及风险，家属表示理解，签字为证。严密观察，{care}。",
                "告知家属病情危重，随时有生命危险，家属要求继续治疗，{drug}维持。",
                "患者拒绝{procedure}，解释后仍坚持，嘱不适随诊。",
                "家属诉其夜间安静，晨起诉{complaint}，已报告值班医师。",
                "护工协助{care}，同室病友无异常，陪护证已发。",
                "上级医师查房后指示：{drug}减量，余同前，查房记录已补。",
                "会诊意见：同意贵科诊断，建议{procedure}，随访，谢邀。",
                "母婴同室，母乳喂养，新生儿{sign}，黄疸指数{measure}。",
            ),
        ),
        (
            0.7,
            (
                "术者、助手、器械护士、巡回护士共同核对，无误后开始，{procedure}。",
                "记录者签名见纸质病历；审核：已通过；打印时间见页脚；{sign}。",
                "姓名 性别 年龄 床号 诊断 护理级别\n见一览表 {disease}",
                "随访结果：1 已接通 好转 2 未接 3 同上 4 〃 5 空号；{drug}依从性尚可。",
                "康复指导：关节活动、高抬腿、平衡训练，每日{n}组，易跌倒者禁用；{care}。",
                "房颤、房扑、室早、室速均未见；管型、结晶未见；{finding}。",
                "文化程度高中，方言交流无障碍，包扎完好，胡须已剃，{sign}。",
                "应急预案已启动，权限由总值班开通，车床推送，平车入室，{care}。",
            ),
        ),
    )

    def noise(self, rng: Random) -> Callable[[str], str] | None:
        return rng.choices((None, _lines, _bare, _half), (78, 9, 6, 7))[0]

    def slot(self, case: Case, slot: str) -> Piece | None:
        """People of whom no table tells, names with blanks inside, beds."""
        rng = case.rng
        if slot == "bed":
            return Piece(rng.choice((str(rng.randint(1, 68)), f"+{rng.randint(1, 9)}", f"0{rng.randint(1, 9)}")))
        if slot == "bp":
            return Piece(f"{rng.randint(85, 190)}/{rng.randint(45, 115)}mmHg", "content")
        if slot == "potassium":
            return Piece(f"{rng.randint(22, 71) / 10}mmol/L", "content")
        if slot == "sister":
            name, length = case.doctors[2]
            return Piece(name[:length] if length else name, "PERSON", behind=rng.choice(("护士长", "护士", "主管护师")))
        known = {"spaced": case.patient, "spaced_doctor": case.doctors[0], "spaced_tech": case.doctors[3]}
        if slot in known:
            return Piece(self._spaced(rng, known[slot][0]), "PERSON")
        if slot in ("outer", "spaced_outer", "officer"):
            name, length = self.people.name(rng)
            if slot == "officer":
                return Piece(name[:length] if length else name, "PERSON", behind="警官")
            return Piece(self._spaced(rng, name) if slot == "spaced_outer" else name, "PERSON")
        if slot in ("mate", "mate_b", "mate_veiled"):
            # From the note's own number, so that a bed's patient keeps the name from line to line.
            name, length = self.people.name(Random(f"{case.mobile}/{slot == 'mate_b'}"))
            if slot == "mate_veiled" and length:
                name = name[:length] + rng.choice(("某", "某某"))
            return Piece(name, "PERSON")
        return None

    def _spaced(self, rng: Random, name: str) -> str:
        """A name as forms and copies align it: two characters to the width of three or four."""
        if len(name) == 2:
            return name[0] + rng.choice((" ", " ", "  ", "\u3000")) + name[1]
        return " ".join(name) if len(name) == 3 and rng.random() < 0.25 else name

    def address(self, rng: Random) -> str:
        place = rng.choice(
            (
                "江苏省宿迁市宿城区",
                "江西省赣州市章贡区",
                "河南省洛阳市涧西区",
                "青岛市城阳区",
                "广西柳州市鱼峰区",
                "四川省绵阳市涪城区",
            )
        )
        if rng.random() < 0.35:
            return f"{place}{rng.choice(('大王', '黄庄', '石桥', '沈塘', '白鹭'))}村{rng.randint(1, 15)}组{rng.randint(1, 99)}号"
        street = rng.choice(("幸福路", "黄河路", "金星街", "沿江东路", "建设大道", "文昌巷"))
        return f"{place}{street}{rng.randint(1, 600)}号{rng.randint(1, 30)}栋{rng.randint(1, 20)}0{rng.randint(1, 4)}室"

    def date(self, rng: Random, day: dt.date) -> str:
        y, m, d = day.year, day.month, day.day
        clock = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
        return rng.choice(
            (
                f"{y}-{m}-{d}",
                f"{y}-{m:02d}-{d:02d} {clock}",
                f"{y}年{m}月{d}日",
                f"{y}/{m:02d}/{d:02d}",
                f"{y}.{m:02d}.{d:02d}",
            )
        )

    def record_number(self, rng: Random, kind: str) -> str:
        return {
            "record_no": "ZY" + values.digits(rng, 8),
            "visit_no": values.digits(rng, 10),
            "exam_no": "MR" + values.digits(rng, 6),
            "path_no": "B" + values.digits(rng, 7),
        }[kind]
