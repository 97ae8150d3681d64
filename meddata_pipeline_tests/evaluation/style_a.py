"""Author A: a formal inpatient record with headings. Rules may be written against it."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import ClassVar

from meddata_pipeline_tests.evaluation import values
from meddata_pipeline_tests.evaluation.style import People, Section, Style


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


class StyleA(Style):
    """Headings, whole sentences, careful spelling."""

    name = "A"
    people: ClassVar[People] = People(
        surnames="王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文",
        given="建国淑珍志强玉兰桂英伟芳娜敏静丽磊洋艳勇军杰娟涛超霞平刚秀文斌浩宇轩梓涵欣怡诗晨曦俊辉海燕春梅红霖泽瑞雅婷振华立新德福长青永年光明金凤翠莲惠民庆祥宝树家兴",
        compound=("欧阳", "上官", "司马", "诸葛", "慕容", "皇甫", "令狐", "尉迟"),
        minority=(
            "阿迪力·吐尔逊",
            "古丽娜尔·艾尼瓦尔",
            "买合木提·依明",
            "扎西顿珠",
            "达瓦卓玛",
            "巴特尔",
            "乌兰其其格",
            "热依汗古丽·阿不都",
        ),
        latin=(("Wang", "Jianguo"), ("Li", "Shuzhen"), ("Zhang", "Zhiqiang"), ("Liu", "Yulan"), ("Chen", "Hao")),
    )
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "complaint": (
            *("反复上腹部隐痛", "活动后胸闷气促", "左侧肢体乏力", "间断咳嗽咳痰", "发现颈部肿物", "右下后牙咬合痛"),
            *("双下肢水肿", "多饮多尿", "头晕伴视物旋转", "右下腹转移性疼痛", "腰骶部疼痛", "吞咽困难"),
        ),
        "disease": (
            *("高血压病3级", "2型糖尿病", "冠状动脉粥样硬化性心脏病", "慢性阻塞性肺疾病", "急性阑尾炎", "胆囊结石"),
            *("慢性牙髓炎", "脑梗死", "帕金森病", "克罗恩病", "霍奇金淋巴瘤", "阿尔茨海默病", "桥本甲状腺炎"),
            *("干燥综合征", "格林-巴利综合征", "库欣综合征", "布鲁氏菌病", "川崎病", "马方综合征", "梅尼埃病"),
        ),
        "drug": (
            *(
                "阿司匹林肠溶片100mg qd",
                "瑞舒伐他汀钙片10mg qn",
                "硝苯地平控释片30mg",
                "二甲双胍0.5g tid",
                "布洛芬缓释胶囊",
            ),
            *("头孢曲松钠2.0g ivgtt", "左氧氟沙星0.5g", "奥美拉唑40mg", "华法林2.5mg", "安宫牛黄丸", "丹参滴丸"),
            *("何首乌", "白芍15g", "黄芪30g", "云南白药", "胰岛素12U", "甘草片", "马来酸依那普利10mg", "呋塞米20mg"),
        ),
        "sign": (
            *("腹平软，右下腹麦氏点压痛阳性", "双肺呼吸音粗，未闻及干湿性啰音", "心律齐，各瓣膜区未闻及病理性杂音"),
            *(
                "墨菲征阴性",
                "巴宾斯基征（+）",
                "双下肢无水肿",
                "生理反射存在，病理反射未引出",
                "张口度正常",
                "甲状腺未触及肿大",
            ),
            *("颈软，无抵抗", "皮肤巩膜无黄染", "四肢肌力5级", "叩痛（+），松动Ⅰ度"),
        ),
        "finding": (
            *(
                "胸部CT示双肺纹理增多",
                "心电图示窦性心律，ST-T改变",
                "腹部彩超示胆囊多发结石",
                "头颅MRI示左侧基底节区梗死灶",
            ),
            *("胃镜示慢性浅表性胃炎", "病理示中分化腺癌", "根尖片示36根尖周低密度影", "心脏彩超示EF 58%"),
        ),
        "code": ("K04.001", "I10.x02", "E11.900", "J44.1", "I63.900x007", "C16.902", "K35.800", "ICD-10 K80.2"),
        "procedure": (
            *(
                "腹腔镜下胆囊切除术",
                "经皮冠状动脉介入治疗",
                "根管治疗术",
                "阑尾切除术",
                "胃镜检查",
                "无痛肠镜下息肉切除",
            ),
        ),
        "dose": (
            "30mg po bid",
            "0.9%氯化钠注射液250ml",
            "5%葡萄糖500ml",
            "每次2片，每日3次",
            "10U 皮下注射",
            "40滴/分",
        ),
        "span": ("3天", "2周", "5月余", "半年", "1小时", "10余年", "3个月", "2月余", "5年", "一周"),
    }
    fillers: ClassVar[dict[str, tuple[str, ...]]] = {
        "relation": ("其子", "其女", "配偶", "其兄", "其母", "其父", "女婿", "侄子"),
        "job": ("退休工人", "农民", "教师", "个体经营者", "公司职员", "无业", "公务员"),
        "nation": ("汉族", "回族", "满族", "维吾尔族"),
        "mind": ("表示知情同意并签字", "理解病情，愿意配合", "要求保守治疗", "拒绝手术，后果自负"),
    }
    titles: ClassVar[tuple[str, ...]] = ("主任医师", "主任", "副主任医师", "主治医师", "医师", "教授", "护士长", "医生")
    courtesies: ClassVar[tuple[str, ...]] = ("先生", "女士")
    hospitals: ClassVar[tuple[str, ...]] = (
        *("江阴市人民医院", "南昌大学第二附属医院", "哈尔滨市第四医院", "成都市青羊区妇幼保健院", "昆山市中医医院"),
        *(
            "贵州省肿瘤医院",
            "长沙爱尔眼科医院",
            "西安交通大学口腔医院",
            "厦门市第一医院",
            "淮安市淮阴区社区卫生服务中心",
        ),
    )
    wards: ClassVar[tuple[str, ...]] = (
        *("心内科一病区", "普外科三病区", "神经内科二病区", "口腔颌面外科五病区", "12病区", "消化内科六病区"),
    )
    sections: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "姓名：{patient}    性别：男    年龄：{age}    住院号：{record_no}",
                "患者姓名：{patient}，{nation}，{age}，{job}，病案号：{record_no}，入院日期：{date}。",
                "入院记录\n姓名：{patient}  职业：{job}  出生日期：{birth}  住址：{address}",
                "{hospital}出院记录\n姓名 {patient}，性别 女，年龄 {age}，入院时间 {past}，出院时间 {date}",
                "科别：{ward}  床号：12  姓名：{patient}  病历号：{record_no}  记录时间：{date}",
            ),
        ),
        (
            0.45,
            (
                "身份证号：{resident_id}，联系电话：{mobile}，联系人：{kin}（{relation}），电话：{kin_mobile}。",
                "现住址：{address}，电话：{mobile}。",
                "户口地址：{new_address}，邮编不详，联系人{kin}，联系人电话：{kin_mobile}。",
                "工作单位电话：{landline}，本人手机：{mobile}，身份证号码：{resident_id}。",
                "医保卡号：{insurance}，就诊卡号：{visit_no}，费用类别：城镇职工。",
                "证件类型：护照，护照号码：{passport}，国籍：中国。",
                "持港澳居民来往内地通行证（{hkm_permit}）办理入院。",
                "台湾居民来往大陆通行证号：{tw_permit}，联系电话{mobile}。",
                "军官证号：{officer_card}，享受优先就诊。",
                "电子邮箱：{email}，微信号：{wechat}。",
                "退费银行卡号：{bank_card}，开户人：{patient}。",
                "旧身份证号：{old_id}，现已更换为{resident_id}。",
                "车祸肇事车辆车牌号为{plate}，已报警。",
            ),
        ),
        (
            1.0,
            (
                "主诉：{complaint}{span}，加重{span}。",
                "主  诉：{complaint}{span}。",
                "主诉：体检发现{disease}{span}。",
            ),
        ),
        (
            1.0,
            (
                "现病史：患者于{span}前无明显诱因出现{complaint}，无发热寒战，于{past}就诊于{other_hospital}，诊断为“{disease}”，予{drug}治疗后好转。{part_date}再次出现上述症状，门诊以“{disease}”收入我科。病程中精神可，饮食睡眠尚可。",
                "现病史：患者{patient}{span}前出现{complaint}，当时未予重视，{past}在外院查{finding}，给予{drug}口服，效果欠佳。为进一步诊治来我院，由{titled}接诊，门诊查体温{measure}，收住{ward}。",
                "现病史：{past}起出现{complaint}，{relation}{kin}代诉曾自行服用{drug}，症状反复。今日由{kin}陪同来院，急诊查C反应蛋白{measure}，血压{measure}，以“{disease}”收入院。",
                "现病史：患者{span}来{complaint}，曾在{other_hospital}行{procedure}，主刀医生为{stranger}，术后恢复可。近{span}症状加重，遂来我院。",
            ),
        ),
        (
            0.8,
            (
                "既往史：{disease}病史{years}，长期口服{drug}，血压控制在{measure}左右。否认肝炎、结核等传染病史，否认药物过敏史。",
                "既往史：既往有{disease}、{disease}病史，{past}因{disease}在{other_hospital}行{procedure}，无输血史。",
                "既往史：平素体健，预防接种史不详，对青霉素过敏。家族史：父亲患{disease}，母亲体健。",
                "个人史：生于原籍，久居本地，吸烟{years}，约20支/日，饮酒少量。",
            ),
        ),
        (
            1.0,
            (
                "体格检查：T {measure}，P 78次/分，R 18次/分，BP 126/78mmHg。神志清，{sign}，{sign}。",
                "查体：体温{measure}，脉搏{measure}，{sign}。专科情况：{sign}；{tooth}牙叩痛（+）。",
                "体  检：发育正常，营养中等，{sign}。{sign}。指脉氧{measure}。",
            ),
        ),
        (
            0.7,
            (
                "辅助检查：{finding}（{past}，本院，检查号：{exam_no}）。血常规：WBC {measure}，N 76.4%。",
                "辅助检查：{past}{finding}；生化：GLU {measure}，肌酐 78μmol/L（参考值57-97）。",
                "辅助检查：病理号{path_no}，{finding}，报告医师{tech}。",
            ),
        ),
        (
            0.8,
            (
                "初步诊断：1.{disease}（{code}） 2.{disease}",
                "入院诊断：{disease}；{disease}。编码{code}。",
            ),
        ),
        (
            0.8,
            (
                "诊疗计划：{titled}查房后指示：完善相关检查，予{drug}、{dose}，择期行{procedure}。",
                "{date}  {doctor}主治医师查房记录：患者诉{complaint}较前减轻，{sign}，继续{drug}治疗。",
                "{date}在全麻下由{doctor2}行{procedure}，{nurse}为巡回护士，麻醉医师{stranger}，术中出血约{n}0ml，术程顺利。",
                "会诊意见：请{ward}{titled}会诊，考虑{disease}，建议{drug}，定期监测血糖{measure}。",
                "今日{doctor}副主任医师、{doctor2}医师查房，患者一般情况可，{sign}，伤口愈合良好，嘱{later}复诊。",
            ),
        ),
        (
            0.6,
            (
                "已向患者及{relation}{kin}交代病情，{mind}。",
                "谈话记录：与{kin}、{kin2}（{relation}）沟通，告知手术风险，{mind}。联系电话：{kin_mobile}。",
                "{courteous}对治疗方案无异议，{mind}。",
                "出院医嘱：{drug}，{dose}；{later}门诊复查，如有不适随诊，科室电话{landline}，健康热线{hotline}。",
                "出院后随访：加科室微信{wechat}，或发邮件至{email}。",
            ),
        ),
        (
            0.9,
            (
                "记录医师：{doctor}    审核医师：{doctor2}    {date}",
                "医师签名：{doctor}\n日期：{date}",
                "住院医师：{doctor}/主治医师：{doctor2}",
                "                    {doctor}\n                    {date}",
            ),
        ),
    )
    free: ClassVar[tuple[Section, ...]] = (
        (1.0, ("主诉：{complaint}{span}。", "主诉：{complaint}伴{complaint}{span}。")),
        (
            1.0,
            (
                "现病史：患者{span}前受凉后出现{complaint}，无畏寒发热，无恶心呕吐，于社区医院输液治疗（具体不详），症状无缓解。今为求系统诊治来我院，门诊拟“{disease}”收治。发病以来，食欲欠佳，大小便如常，体重下降约{n}kg。",
                "现病史：患者诉{span}前开始{complaint}，呈阵发性，可自行缓解，曾口服{drug}，未见明显好转。近{span}上述症状加重，严重影响睡眠，家属送来急诊。查血糖{measure}，尿酮体阴性，予{dose}处理后转入病房。",
                "现病史：患者自诉于劳累后感{complaint}，休息后好转，未曾诊治。{span}前再发，程度较前加重，伴大汗，持续约20分钟，舌下含服药物后缓解。外院查{finding}。",
            ),
        ),
        (
            1.0,
            (
                "既往史：{disease}{years}，规律服用{drug}；{disease}{years}。否认外伤史。于月经期偶有痛经。",
                "既往有{disease}病史，曾行{procedure}。高血压家族史阳性。否认食物过敏史，常年饮用井水。",
                "既往史：无特殊。婚育史：适龄结婚，配偶及子女均体健。",
            ),
        ),
        (
            1.0,
            (
                "查体：{sign}；{sign}；{sign}。血压{measure}，心率{measure}。",
                "体格检查：全身浅表淋巴结未触及肿大，胸廓对称，{sign}，肝脾肋下未触及，{sign}。",
            ),
        ),
        (
            1.0,
            (
                "辅助检查：{finding}；血常规示白细胞{measure}，中性粒细胞百分比{measure}；血钾{measure}；高敏肌钙蛋白阴性；金黄色葡萄球菌培养阴性。",
                "检查结果：{finding}。尿常规未见异常。凝血功能：PT 12.1s，INR 1.02。",
            ),
        ),
        (
            1.0,
            (
                "诊断：{disease}（{code}）；{disease}。鉴别诊断：应与{disease}、{disease}相鉴别。",
                "诊断明确，无手术禁忌。{disease}不除外，进一步排查。",
            ),
        ),
        (
            1.0,
            (
                "处理：{drug}；{drug}；{dose}。低盐低脂饮食，注意休息，不适随诊。上级医师查房同意目前治疗。",
                "予{drug}静滴，联合{drug}，完善术前准备，择期{procedure}。密切观察生命体征变化，明日复查电解质。",
                "中药处方：{drug}、{drug}，水煎服，每日一剂。通知营养科会诊，健康宣教。",
            ),
        ),
    )

    def address(self, rng: Random) -> str:
        place = rng.choice(
            (
                "江苏省江阴市澄江街道",
                "江西省南昌市东湖区",
                "成都市青羊区",
                "黑龙江省哈尔滨市道里区",
                "湖南省长沙市岳麓区",
                "昆山市玉山镇",
            )
        )
        street = rng.choice(("通江北路", "八一大道", "草堂路", "友谊路", "银盆南路", "人民南路", "长江西路"))
        if rng.random() < 0.3:
            return (
                place
                + f"{rng.choice(('前进', '红旗', '东风', '新塘', '柳溪'))}村{rng.randint(1, 12)}组{rng.randint(1, 99)}号"
            )
        estate = rng.choice(("", "锦绣花园", "阳光小区", "翠湖苑", "世纪城"))
        return (
            place
            + f"{street}{rng.randint(1, 999)}号{estate}{rng.randint(1, 30)}幢{rng.randint(1, 4)}单元{rng.randint(1, 20)}0{rng.randint(1, 4)}室"
        )

    def date(self, rng: Random, day: dt.date) -> str:
        y, m, d = day.year, day.month, day.day
        clock = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
        return rng.choice(
            (
                *(
                    f"{y}年{m}月{d}日",
                    f"{y}年{m:02d}月{d:02d}日",
                    f"{y}-{m:02d}-{d:02d}",
                    f"{y}-{m:02d}-{d:02d} {clock}",
                ),
                *(f"{y}.{m}.{d}", f"{y}/{m}/{d}", f"{y}年{m}月{d}日", _wide(f"{y}-{m:02d}-{d:02d}")),
            )
        )

    def spell(self, rng: Random, kind: str, value: str) -> str:
        chance = rng.random()
        if kind.endswith("mobile"):
            if chance < 0.2:
                return f"{value[:3]}-{value[3:7]}-{value[7:]}"
            if chance < 0.3:
                return f"+86 {value}"
            if chance < 0.4:
                return f"{value[:3]} {value[3:7]} {value[7:]}"
        if kind == "hotline":
            return f"{value[:3]}-{value[3:6]}-{value[6:]}"
        if kind == "bank_card" and chance < 0.4:
            return " ".join(value[i : i + 4] for i in range(0, len(value), 4))
        if chance > 0.93 and value.isascii():
            return _wide(value)
        return value

    def landline(self, rng: Random, area: str, local: str) -> str:
        return rng.choice(
            (f"{area}-{local}", f"({area}){local}", f"{area}{local}", f"{area}-{local}转{rng.randint(100, 8999)}")
        )

    def record_number(self, rng: Random, kind: str) -> str:
        return {
            "record_no": "00" + values.digits(rng, 6),
            "visit_no": "MZ" + values.digits(rng, 9),
            "exam_no": "CT" + values.digits(rng, 7),
            "path_no": f"20{rng.randint(19, 24)}-{values.digits(rng, 5)}",
        }[kind]
