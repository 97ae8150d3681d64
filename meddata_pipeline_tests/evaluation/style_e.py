"""Author E: what people say and type: calls, talks, complaints, group messages. Rules may be written against it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from meddata_pipeline_tests.evaluation import values
from meddata_pipeline_tests.evaluation.notes import Piece
from meddata_pipeline_tests.evaluation.style import Case, People, Section, Style

_MEN = (
    *("国强", "海波", "志远", "少华", "大海", "长河", "广富", "德厚", "满仓", "有田", "水生", "根宝", "铁柱", "福贵"),
    *("来顺", "立群", "卫东", "援朝", "跃进", "爱民", "红兵", "学文", "学武", "宗耀", "伯年", "家明", "子豪", "子墨"),
    *("奕辰", "昊然", "宇航", "俊熙", "天佑", "鹏程", "一鸣", "承泽", "锦程", "思远", "成才", "守业", "耀祖", "开富"),
    *("兆丰", "传宝", "炳坤", "焕章", "凤山", "树槐", "恒昌", "国庆", "胜利", "解放", "建设", "保国", "喜子", "东升"),
    *("飞", "勇", "涛", "磊", "凯", "亮", "斌", "强", "伟", "波", "峰", "刚", "鑫", "旭", "岩", "森"),
)
_WOMEN = (
    *("秀芝", "桂香", "素云", "菊花", "腊梅", "春兰", "翠花", "玉芬", "月娥", "巧云", "彩霞", "美玲", "丽萍", "晓燕"),
    *("雪梅", "冬梅", "小红", "婷婷", "佳怡", "梦瑶", "雨桐", "欣妍", "若曦", "诗涵", "紫萱", "思彤", "子涵", "可馨"),
    *("静怡", "雅楠", "招娣", "来弟", "银花", "改芝", "爱莲", "凤仙", "水仙", "素珍", "惠芬", "金娣", "亚楠", "玉洁"),
    *("文君", "如意", "平安", "团圆", "乐乐", "芳", "敏", "娜", "静", "丽", "艳", "霞", "玲", "慧", "倩"),
    *("莉", "琴", "蕾", "洁", "颖", "露"),
)
#: Whole names that are words as well, each with a surname of one character.
_WORDS = (
    *("文静", "黄金", "方向", "白雪", "高兴", "安宁", "常青", "向阳", "江山", "时光", "温暖", "雷鸣", "高山", "高峰"),
    *("方圆", "白杨", "黄河", "金星", "万里", "成功", "向前", "明亮", "安康", "田园", "和平", "严明", "马达"),
    *("柳叶", "童话", "路遥", "凌云", "于洋", "钱程"),
)


@dataclass(frozen=True)
class _Spoken(People):
    """Real given names, and one name in twenty that is a word."""

    def name(self, rng: Random) -> tuple[str, int]:
        kind = rng.random()
        if kind < 0.03:
            return rng.choice(self.minority), 0
        if kind < 0.08:
            return rng.choice(_WORDS), 1
        surname = self.surname(rng)
        if rng.random() < 0.1:
            return surname + rng.choice(self.given) + rng.choice(self.given), len(surname)
        return surname + rng.choice(rng.choice((_MEN, _WOMEN))), len(surname)

    def surname(self, rng: Random) -> str:
        """One in thirty of two characters; of the others six in seven are frequent."""
        if rng.random() < 0.03:
            return rng.choice(self.compound)
        third = len(self.surnames) // 3
        return rng.choice(self.surnames[:third] if rng.random() < 0.85 else self.surnames[third:])


_SIR = ("大爷", "哥", "叔", "师傅", "先生", "大伯", "大哥", "老师傅")
_MADAM = ("阿姨", "姐", "婶", "奶奶", "女士", "大妈", "大姐", "嫂子")
_WHO = re.compile(r"(patient|kin2?|doctor2?|nurse|tech|[a-h]|[mw][12])(?:_([gtcnmkr]))?")
_WORKERS = frozenset(("doctor", "doctor2", "nurse", "tech"))


def _of(choices: Sequence[str], name: str) -> str:
    """The same choice for the same person."""
    return choices[sum(map(ord, name)) % len(choices)]


class StyleE(Style):
    """Entries of several hands, as they were said.

    People are slots ``who`` or ``who_form``. ``who`` is the patient, kin, staff, or a to h, men m and women w: people in no
    table who keep their names within a note. Forms: g the given name alone, t surname and a staff's title, c surname and what laymen
    call each other, n 老王 or 小王, m 王某, k the given name with such a word, r how somebody of that given name is
    related. As with all authors words behind a name are not part of it; 老, 小, 阿 and 某 are: without them nobody would
    be called so.
    """

    name = "E"
    people: ClassVar[_Spoken] = _Spoken(
        surnames="陈李王张黄林刘吴杨郑周徐孙朱马胡郭何高罗梁宋谢韩唐冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金贾韦夏付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝",
        given="强军波涛明华平杰亮辉玲芬琴秀霞艳芝香花云梅兰英莉倩慧颖琪悦彤萱妍睿哲航博凯旭森岩松柏山川海河江峰林东升国民安康福贵喜顺根水生银玉宝珠",
        compound=("欧阳", "司徒", "夏侯", "端木", "公孙", "东方", "南宫", "宇文"),
        minority=(
            *("阿不都热合曼·肉孜", "努尔古丽·卡德尔", "玛依拉·托合提", "艾则孜·买买提", "迪丽努尔·艾山", "才让东主"),
            *("次仁央金", "仁青措", "那仁托娅", "阿木古楞", "库尔班·尼亚孜", "依力哈木·艾力"),
        ),
        latin=(("Zhao", "Guoqiang"), ("Lin", "Meiling"), ("He", "Xuewen"), ("Zheng", "Yutong"), ("Xie", "Bo")),
    )
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "complaint": (
            *(
                "胸口闷",
                "头晕得站不住",
                "右边手脚没劲",
                "肚子胀",
                "咳得睡不着",
                "尿频尿痛",
                "伤口渗血",
                "牙龈肿",
                "心慌",
            ),
            *("膝盖疼得下不了楼", "吃什么吐什么", "发烧38度5", "眼睛看东西重影", "腿肿", "胃里反酸", "嗓子哑"),
        ),
        "disease": (
            *("高血压", "黄疸", "白内障", "贲门失弛缓症", "金黄色葡萄球菌感染", "糖尿病足", "帕金森病", "美尼尔综合征"),
            *(
                "桥本甲状腺炎",
                "川崎病",
                "格雷夫斯病",
                "房颤",
                "慢阻肺",
                "脑梗",
                "股骨颈骨折",
                "抑郁状态",
                "霍奇金淋巴瘤",
            ),
            *("白塞病", "雷诺现象", "痛风", "胆管炎", "强直性脊柱炎", "马凡综合征", "甲沟炎", "华法林相关出血", "湿疹"),
        ),
        "drug": (
            *(
                "阿托伐他汀",
                "倍他乐克",
                "华法林",
                "诺和锐",
                "氯吡格雷",
                "泰诺林",
                "雷贝拉唑",
                "安宫牛黄丸",
                "王氏保赤丸",
            ),
            *("马应龙麝香痔疮膏", "季德胜蛇药片", "云南白药", "雷公藤多苷片", "金水宝", "黄连素", "连花清瘟", "地高辛"),
            *(
                "左甲状腺素钠片",
                "康复新液",
                "白蛋白",
                "安定片",
                "万古霉素",
                "乐卡地平",
                "孟鲁司特",
                "易善复",
                "贝前列素",
            ),
        ),
        "herb": (
            *(
                "黄芪30克",
                "白术15克",
                "何首乌12克",
                "金钱草30克",
                "当归10克",
                "杜仲15克",
                "党参20克",
                "苏叶6克",
                "陈皮9克",
            ),
            *(
                "柏子仁12克",
                "石斛10克",
                "柴胡9克",
                "麦冬12克",
                "冬瓜皮20克",
                "桂枝6克",
                "甘草6克",
                "夏枯草15克",
                "田七粉3克",
            ),
        ),
        "sign": (
            *("伤口敷料干燥", "查体合作，对答切题", "双侧瞳孔等大等圆", "墨菲征阳性", "霍夫曼征阴性", "布氏征阴性"),
            *("双下肢轻度凹陷性水肿", "关节活动度可", "情绪低落，语速慢", "睡眠差，早醒", "引流液淡红色约50ml"),
        ),
        "finding": (
            *("复查片子说骨头长得还行", "彩超提示胆囊结石", "CT报告右下肺有个小结节", "血钾偏低", "大便潜血阳性"),
            *("心电图正常", "胃镜是浅表性胃炎", "糖化血红蛋白8.2%", "甲功三项正常", "血象高", "造影显示左前降支狭窄"),
        ),
        "code": ("I63.902", "E11.501", "S72.001", "K80.100", "F32.900", "H25.901"),
        "procedure": (
            "换髋手术",
            "胆囊切除",
            "放支架",
            "胃肠镜",
            "白内障手术",
            "内固定取出",
            "透析",
            "造口护理",
            "拔管",
        ),
        "dose": ("每次1片每天2次", "早晚各8个单位", "饭后半小时吃", "半片半片地加", "5ml一天三次", "隔天一支"),
        "span": ("三天", "两周", "小半年", "一个多月", "十来天", "七八年", "一晚上", "半个小时"),
    }
    fillers: ClassVar[dict[str, tuple[str, ...]]] = {
        "told": ("说", "诉", "称", "讲", "反映", "表示", "回答", "告诉我", "补充说", "坚持说"),
        "role": (
            *("邻居", "同事", "工友", "老乡", "护工", "同病房病友", "房东", "村主任", "社工", "司机", "保姆", "网格员"),
            *("民警", "保安", "同学", "班主任", "厂里负责人", "老板", "朋友", "表弟", "堂姐", "外甥", "侄媳妇", "亲家"),
        ),
        "feel": ("情绪激动", "态度平和", "表示理解", "当场落泪", "不太高兴", "表示感谢", "没再追问", "要求给个说法"),
        "done": ("已处理", "收到", "马上来", "好的", "知道了", "稍等", "在忙，等下", "已通知", "辛苦了", "明白"),
        "fee": ("押金三千", "检查费", "护理费", "多收的钱", "床位费", "救护车费"),
        "where": ("护士站", "楼梯口", "食堂", "电梯里", "抢救室", "门诊大厅", "收费处", "谈话间", "走廊"),
        "clock": ("8:40", "14:20", "晚上七点多", "凌晨三点", "下午", "早上交班时", "22:05", "中午"),
    }
    titles: ClassVar[tuple[str, ...]] = ("主任", "医生", "大夫", "护士长", "老师", "护士", "科长", "院长", "博士")
    courtesies: ClassVar[tuple[str, ...]] = _SIR + _MADAM
    hospitals: ClassVar[tuple[str, ...]] = (
        *("温岭市第一人民医院", "襄阳市中心医院", "柳州市工人医院", "大庆油田总医院", "晋江市中医院"),
        *("宜昌市第二人民医院", "洛阳市妇幼保健院", "眉山市人民医院", "保定市第三医院", "台州骨伤医院"),
    )
    wards: ClassVar[tuple[str, ...]] = (
        "骨科二病区",
        "心内科三病区",
        "老年科一病区",
        "肿瘤内科五病区",
        "神经外科二病区",
    )
    sections: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "随访电话记录  随访对象：{patient}  住院号：{record_no}  电话：{mobile}  随访日期：{date}",
                "{date} 电话随访 {patient}（{age}），出院诊断{disease}，接听人{kin}",
                "医患沟通记录\n患者{patient}，{age}，住院号{record_no}，沟通时间{date}，沟通地点：{where}",
                "{hospital}投诉接待登记表\n投诉人：{kin}  被投诉人：{doctor_t}  患者：{patient}  联系电话：{kin_mobile}  日期：{date}",
                "不良事件上报\n发生日期：{date}  患者：{patient}  病案号：{record_no}  上报人：{nurse}",
                "120出车单\n呼救人：{a}  呼救电话：{new_mobile}  接诊地点：{address}  患者：{patient}  日期：{date}",
                "社工个案记录（{date}）\n案主{patient}，{age}，转介人{doctor}，住院号{record_no}",
                "家庭会议纪要 {date}\n参加：{kin}、{kin2}、{doctor_t}、{nurse}；列席：{a}。议题：{patient}下一步治疗",
                "【{date} 科室工作群记录】{patient}，住院号{record_no}",
                "心理科访谈 {date} 来访者{patient}，{age}，由{kin}陪着来的，门诊号{visit_no}",
            ),
        ),
        (
            0.7,
            (
                "接电话的是{kin}，说{patient_g}刚睡下，{complaint}比出院时轻，{drug}还在吃。问{kin_g}在家量的结果，答{measure}。",
                "打本人电话没人接，改打{kin}，{kin}说他跟{a}出门了，晚点让{patient_g}回电话。",
                "{patient}本人接听，诉{complaint}，问能不能停{drug}，告知不要自己停，先让{doctor_t}看过再说。",
                "第一次拨打{mobile}关机；第二次{kin}接，自称是{kin_r}，{told}恢复得不错，{finding}。",
                "电话是{role}{a}接的，说{patient_n}回老家了，号码给了{kin}的，{kin_mobile}。",
                "问：伤口还疼不疼？{patient_c}答：不怎么疼了，就是{complaint}。又问：谁给换药？答：{b}给换的，村卫生室的{b_t}。",
                "{kin}{told}{patient_g}上周去{other_hospital}看了，找的{a_t}，{finding}，让继续吃{drug}。",
                "随访{patient}，{kin}代答：饮食可，{complaint}偶有，{drug}{dose}。约{later}找{doctor}复诊。",
                "{a}来电，说是{patient}的{role}，想替{patient_g}问{procedure}的事，告知需{patient_g}或{kin}本人来。",
                "{patient_c}，您好，我是{doctor_t}这边的随访护士{nurse}。对方答：好好好，{doctor_n}我记得的。",
                "号码停机，通过微信{wechat}联系上{kin}，{kin}回复：我妈跟{kin2}住，{complaint}好多了。",
                "拨{new_mobile}，一男子接听，自称{a}，称不认识{patient}，号码有误，请{nurse}核对。",
                "{kin}接，态度不好，说{patient}走了三个多月了，叫我们不要再打，已告知{doctor_t}并在系统里标记。",
                "今天给{patient}、{b}、{c}、{d}四位打了电话，{patient}和{c}接了，{b}占线，{d}是空号。",
                "{kin2}说：{kin}在外地打工，家里就{patient_g}一个人，药是{role}{e}帮着拿的。",
                "回访时{patient_k}在菜市场，{told}{complaint}没再犯，药按{doctor_t}说的吃，{dose}。",
                "据{a}称，{patient_g}昨天被{b}接走了，{kin}还不知道，请{kin}尽快与{b_g}联系。",
                "上次由{a}陪同来复查，这次是{b}送来的，问{patient_g}，{told}跟{a_g}闹翻了。",
            ),
        ),
        (
            0.7,
            (
                "问：谁发现的？答：{a}发现的，当时{patient_g}躺在{where}，{a_g}喊了{b}一起抬。",
                "问：家里谁做主？答：老大{kin}做主，老二{kin2}听他的。",
                "问：平时吃什么药？答：{drug}，{a}从网上给买的，吃了{span}。",
                "患者{kin_r}{kin}诉{patient_g}{span}前{complaint}，{a}劝他来他不来，后来是{b}硬拉着送来的。",
                "{a}陪同{patient}来诊，{b}随后赶到，{a}诉{complaint}，{b}称没有的事，两人说法不一。",
                "手术同意书让{kin}签字，{kin}让{kin2}签，{kin2}不签，最后找{a}见证由{patient}按手印。",
                "{doctor}跟{kin}讲了{procedure}的风险，{kin}问{kin2}意见，{kin2}说听医生的，{kin}签字。",
                "{kin}问：能不能请{other_hospital}的{a}来做？{doctor_t}答：可以联系{a_t}，会诊费自理。",
                "谈话对象：{kin}、{kin2}、{a}（{role}）。{a}提出先保守，{kin_g}不同意，{feel}。",
                "与患者及{kin}反复沟通，{patient}点头，{kin}{feel}，由{kin2}代签，{nurse}见证。",
                "{patient_c}说：「我这病{a_c}也得过，吃{drug}就好了。」{doctor_n}解释：情况不一样。",
                "{kin}让{doctor}别把{disease}告诉{patient_g}，{doctor}同意先瞒着，嘱{nurse}、{tech}查房时注意说话。",
                "家属{kin_m}、{kin2_m}到{where}，要求转{other_hospital}，经{doctor_t}劝说，{feel}。",
                "请{kin}来{where}谈话，{kin}没来，来的是{a}，自称{role}，无委托书，未予告知，已请{a_g}转告{kin}。",
                "病情已告知{kin}并经{kin}同意行{procedure}，{kin2}电话里也同意（{new_mobile}）。",
                "护工{a}讲夜里{patient_n}自己拔了针，{a_g}叫{nurse}来看，{sign}。",
                "{doctor}问{patient}还记得今天星期几，{patient}答不上来，把{kin}认成{kin2}。",
                "据{kin}讲，{patient_g}年轻时跟{a}、{b}在矿上干过{years}，{b}前年也是{disease}走的。",
            ),
        ),
        (
            0.55,
            (
                "投诉内容：{kin}称{past}{nurse}给{patient_g}扎了四针没扎上，{kin_g}让换人，{nurse}说「你行你来」。",
                "{kin}反映{doctor_t}查房只看了一眼就走，找{doctor2}问也说不清，{feel}。",
                "经调查，当班为{nurse}、{tech}，{nurse}承认语气生硬，已向{kin}道歉，{kin}{feel}。",
                "投诉人{a}系患者{role}，与{kin}一起到{where}，{a}拍桌子，保安{b}、{c}到场劝开，民警{d}出警（警号不详）。",
                "事情经过：{clock}{patient}从床上滑下，同屋{a}按铃，{nurse}与{b}将{patient_g}扶起，{sign}，报{doctor}。",
                "隔壁床{a}的{drug}误发给{patient}，{a}家属{b}发现，{nurse}立即收回，两人均未服用，已报{doctor_t}。",
                "{nurse}核对时喊「{a}」，{patient}应了一声，于是把{a_g}的血抽成了{patient_g}的，{tech}在检验科发现标本不符。",
                "{kin}说{fee}对不上，收费处{a}查了，{fee}退到{bank_card}，户名{kin}。",
                "{patient_g}被{a}推了一把，{b}和{c}都看见了，{c}愿意作证，找{tech}登记了电话{new_mobile}。",
                "据护工{a}回忆，{patient}是被{b}扶上床的，{b}说没有，叫来{c}对质，{c}也说不清。",
                "{a}在{where}滑倒，{b}扶的，{c}叫的轮椅，{doctor}看过，{sign}，{a}未再追究。",
                "{patient}与{a}因开窗发生口角，{a}先动手，{b}拉架被抓伤，{nurse}通知{c_t}，双方由民警{d}带去做笔录。",
                "投诉办{tech}回电{kin}：{doctor}已停诊反省。{kin}不满意，要{doctor}当面给{patient_g}赔不是。",
                "{kin}要求复印{patient}病历，委托{a}来办，{a}身份证{resident_id}，经{tech}核对放行。",
                "整改：{nurse}扣当月绩效，{doctor2}负责带教，{tech}每周抽查，结果报{a_t}。",
                "{kin}在网上发帖点名{doctor}，{tech}联系{kin}删帖，{kin}称帖子是{a}发的，与自己无关。",
            ),
        ),
        (
            0.4,
            (
                "{clock}接{a}来电，称{b}在{new_address}被车撞，车牌{plate}，司机{c}在现场。",
                "到达时{patient}躺在路边，{a}扶着头，{b}在打电话，{sign}，测得{measure}。",
                "随车医生{doctor}，护士{nurse}，司机{a}，担架员{b}、{c}。",
                "{a}说是遛弯碰上的，不认识患者，是{b}叫他拨的120，后来{kin}赶到。",
                "现场另有伤者{b}、{c}，由二车组{d}送{other_hospital}；{patient}由我车送回。",
                "路人{a}，{new_mobile}，称看到{patient}骑车摔倒，旁边卖水果的{b_n}可以作证。",
                "肇事司机{a}垫了{fee}，身份证{old_id}，交警{b}已取证。",
                "{a}、{b}二人用三轮车把{patient}送来，{a}称姓名不详，后经{c}辨认为{patient}，通知{kin}。",
                "{kin}拒绝送医，{a}劝了{span}也不听，签字人{kin}，见证人{a}。",
                "途中{patient}呼之能应，诉{complaint}，给氧，{kin}跟车，{clock}交急诊{doctor2}。",
                "报警人{a}与{patient}是同乡，两人喝酒，同桌{b}、{c}、{d}先走，{a}见其吐血，遂呼救。",
            ),
        ),
        (
            0.55,
            (
                "案主{patient}，早年丧偶，跟小儿子{m1}过，大女儿{w1}嫁到外地，{a}是帮忙的{role}。",
                "{patient_g}说最放心不下孙子{m1}，{m1_g}今年上初二，成绩不好，跟{b}学坏了。",
                "谈到{kin}，{patient}沉默{span}，后说：「{kin_g}不孝顺，还不如{a}。」",
                "{kin}失业后靠{a}接济，{patient}的{fee}是{b}、{c}和{d}凑的，社区{e_t}答应帮忙申请救助。",
                "工友{a}{told}，{patient}平时话少，跟{b}合得来，出事前一天还约{b_g}去钓鱼。",
                "班主任{a}来院看望，带了同学{b}、{c}、{d}写的卡片，{patient_g}笑了，给{b_g}回了条语音。",
                "{patient}自述与{a}分手后{complaint}，{a}又找了{b}，一时想不开，吃了{drug}，幸好{c}发现得早。",
                "联系民政{a}、居委会{b_t}，{b}说{patient_n}是低保户，可由{c}代办，手机{new_mobile}。",
                "量表由{tech}协助完成，{patient}不识字，{tech}逐条念，{kin}在外面等。{sign}。",
                "{patient}提到{a}时哭了，说{a_g}是老战友，{past}因{disease}没的。",
                "同病室{a}、{b}对{patient_g}很照顾，{a_c}常给她带饭，{b_c}教她练气功。",
                "{patient_n}嘴上说不想{w1}，夜里喊{w1_g}，跟{a}聊到半夜，{a_k}劝{patient_g}想开些。",
                "问起{m1}和{m2}，{patient}说{m1_g}随爹，{m2_g}随她，都不爱说话，只有{w1}肯跟她讲。",
                "志愿者{a}和{b}今天陪{patient}下楼晒太阳，{patient_c}叫{b_g}「孩子」。",
                "母亲{w1}，父亲{m1}，哥哥{m2}，嫂子{w2}，侄子{c}，目前住{new_address}。",
                "{kin}与儿媳{w1_m}不和，为照顾{patient}的事吵过，{b_c}出面调解，{feel}。",
            ),
        ),
        (
            0.65,
            (
                "@{nurse} {n}床{patient}的{drug}换好没？",
                "@{doctor} @{doctor2} {patient}家属{kin}在{where}等，问{procedure}排到几点",
                "{nurse}：{n}床{patient}{complaint}，{measure}\n{doctor}：{drug}，{dose}\n{nurse}：{done}",
                "{doctor_n}，{n}床{patient_c}又闹着出院，你过来劝劝，{kin_g}也劝不住",
                "{n}床{patient}家属叫{kin}，{n}床{a}家属叫{b}，别弄混了@{nurse}@{tech}",
                "谁看见{a}的片子了？{tech}说给{doctor2}了，{doctor2}说没有[捂脸]",
                "明天手术：{patient}、{a}、{b}，{doctor}主刀，{doctor2}一助，{c}上台跟一下",
                "{tech}发来：{patient}（检查号{exam_no}）{finding}，麻烦{doctor_t}看一眼",
                "今晚夜班{nurse}，我跟{tech}换了，{a}休息，有事打{local_phone}或者找{doctor_n}",
                "{doctor_g}，{kin}又来电话了，问{patient}啥时候能转{ward}，我说等{doctor2_t}通知",
                "收到{kin}红包一个，已当面退还，{nurse}{tech}在场",
                "@{nurse_g} 你跟{tech_g}说一声，{a_c}的轮椅借给{b}了，用完找{b_c}要",
                "{doctor_t}在吗？{n}床{patient_k}找你，{kin_c}也在，说是{a_t}介绍来的",
                "{n}床{patient}，{n}床{a}，{n}床{b}，{n}床{c}今天出院，{nurse}发药，{tech}结账",
                "{a}进修结束了，{b}来接班，{n}床交给{b_g}管，{doctor_t}请批准",
                "@所有人 {patient}欠费了，{kin}说下午交，{nurse}盯一下，别忘了跟{a}说",
                "帮忙转告{a}，{b}让下班去{where}找{c_n}拿{drug}",
                "{n}床走了，{n}床收{patient}，{disease}，{code}，{kin}陪护，{doctor2}管\n{done}",
                "刚{c}打来说{a}师傅晚上不来了，护工换成{b}，{patient}那边{kin}知道",
            ),
        ),
        (
            0.45,
            (
                "会议中{kin}主张手术，{kin2}主张回家，{a}（{role}）中立，{doctor_t}分析了利弊，最后听{patient}自己的。",
                "{kin}：我不同意插管。{kin2}：我也不同意。{a}：听{kin_g}的吧。{doctor}：那请{kin}签字。",
                "护理由{kin}、{kin2}、{a}三家轮流，每家{span}，{b}负责送饭，{fee}均摊。",
                "{doctor2}记录，{nurse}解释了{procedure}后的护理，{kin2}问{drug}能不能报销，{tech}回答能。",
                "{a}代表舅舅家发言，说{kin}这几年辛苦，{b}、{c}都看在眼里，{feel}。",
                "决定：{patient}先不做{procedure}，{kin_g}明天跟{a}去{other_hospital}找{b_t}再问问，{later}前回话。",
                "参会人员签到：{kin} {kin2} {a} {b} {doctor} {nurse}",
                "{patient}通过视频参加，{kin2}举的手机，{patient_g}说想回家看{a}和{b}两个孩子。",
                "外孙女{w1}从国外连线，由{b}翻译，问{disease}会不会遗传，{doctor_t}答复后{w1_g}{feel}。",
                "委托书：本人{patient}委托{kin}办理住院事宜，{kin2}知情。证明人{a}、{b}。",
            ),
        ),
        (
            0.5,
            (
                "身份证{resident_id}，住{address}，本人手机{mobile}，紧急联系人{kin}{kin_mobile}。",
                "医保号{insurance}，就诊卡号{visit_no}，{kin}代办。",
                "{kin}的邮箱{email}，电子发票发那里。座机{landline}白天有人。",
                "加了{kin}微信，微信号{wechat}；QQ：{qq}。",
                "新地址{new_address}，是{a}租给{kin}的，房东{a}电话{new_mobile}。",
                "证件是护照{passport}，翻译{a}陪同，{a}手机{new_mobile}。",
                "退款卡号{bank_card}，开户名{kin}，经办{tech}。",
                "病理号{path_no}，借片人{kin}，押金条在{a}那。",
                "投诉可打{landline}或{hotline}，接待人{tech}。",
            ),
        ),
        (
            0.75,
            (
                "随访人：{nurse}  {date}",
                "谈话医生{doctor}，家属签名{kin}，{date}",
                "记录：{tech}　复核：{doctor2}",
                "{doctor}\n{date}",
                "以上情况属实。{kin}（{kin_r}） {date}",
                "接待人{tech}，{date}已回复{kin}，{kin}{feel}。",
                "记录人 {nurse} 督导 {doctor2} 下次见面{later}",
                "整理：{nurse}，抄送{doctor_t}、{tech}、{a}。",
                "{kin}签，{nurse}、{tech}在场。",
            ),
        ),
    )
    free: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "电话随访：老伴接的，说{complaint}好些了，{drug}每天都吃，{dose}。嘱低盐饮食，有事随时来电。",
                "随访三次无人接听，白天打不通，晚上再打，家属回电说人在老家，{complaint}没再犯。",
                "家属来电咨询{procedure}前要不要停{drug}，告知听主管医生的，不要自作主张。",
                "接听者为同事，称本人出差，手机落单位了，{complaint}不清楚，约周末再打。",
                "问：疼不疼？答：疼，{complaint}。问：何时开始的？答：记不清，{span}了吧。",
                "患者高兴地说{finding}，马上就能上班，钱也没多花。嘱{drug}不能停，方便时来复查。",
                "短信回访：请您按时服用{drug}，如有{complaint}，及时就近就诊。",
                "语音留言：药快吃完了，{drug}在哪里开方便？何况家里没人，能不能邮寄？",
            ),
        ),
        (
            1.0,
            (
                "沟通：向家属讲明{disease}的常规处理和可能的并发症，家属商量后同意{procedure}，时间安排在周三上午。",
                "医生问有没有{disease}，患者说没有，只是血压高，常年吃{drug}，黄酒每顿二两。",
                "家属问钱不够怎么办，答先用医保，余下部分分期，{procedure}不会等钱。",
                "安排家属陪床一名，夜间方便照看；老人听力差，讲话要大声，多说几遍。{sign}。",
                "谈话要点：一、{disease}明确；二、{procedure}风险；三、费用。全家都表示明白，方案无异议。",
                "老人自述和老伴、女儿、女婿同住，平时女儿管药，{drug}{dose}，从没漏过。",
                "病人说白天还行，夜里{complaint}，江边走走就舒服些，时间长了又犯。",
                "问诊：有无{disease}？无。家里人呢？父亲{disease}，母亲{disease}，叔叔阿姨都还好。",
            ),
        ),
        (
            0.8,
            (
                "投诉内容：家属称{fee}收得不明不白，护士长解释后表示理解，未再要求赔偿。{sign}。",
                "事件经过：夜班护士巡视发现老人坐在地上，随即扶起，测得{measure}，{sign}，报值班医生。",
                "上报：{drug}发放错误一例，白班与夜班交接不清，未造成后果。原因分析：常规核对流于形式。",
                "不良事件：输{drug}时出现{complaint}，立即停药，保留余液，通知当班医生，{span}后缓解。",
                "整改措施：马上组织全科学习，高年资护士带低年资护士，每周抽查，方向要明确，时间要落实。",
                "来人反映食堂的菜太咸，高血压的人吃不了；又说电梯慢。已转后勤，{finding}一事另行答复。",
                "路人报警，称有老人倒在公园门口，到场见神志清，{sign}，测得{measure}，送回。",
                "出车途中家属称{complaint}{span}，既往{disease}，含{drug}无效，测得{measure}，吸氧、建通道。",
            ),
        ),
        (
            0.8,
            (
                "@所有人 明天周一大交班，{drug}要双人核对，{disease}的病人单独排，收到请回复",
                "{n}床要换药，{n}床{complaint}，{n}床等{procedure}，谁有空去看一眼\n{done}",
                "{n}床结果{measure}，{drug}先停\n{done}\n家属在{where}，记得谈话",
                "药房通知：{drug}缺货，可用{drug}代替，剂量{dose}，急用的打电话",
                "群公告：金属物品不能带进磁共振室，{procedure}前去掉假牙；水杯、手机放外面柜子",
                "今天来的病人多，{disease}{n}个，{disease}{n}个，常规检查都开了，辛苦各位",
                "何时能空出床位？急诊还压着{n}个{disease}\n{done}\n周转太慢了，商量商量",
                "谁的饭卡掉在{where}了？万一找不到先用我的。{n}床{finding}，通知家属了",
            ),
        ),
        (
            0.8,
            (
                "家庭会议：儿子主张手术，女儿主张保守，老伴没意见，最后定下先用{drug}观察{span}。",
                "心理访谈：来访者{sign}，说高考压力大，父母管得严，白天上课走神，夜里{complaint}。",
                "社工评估：独居，低保，邻里关系好，村里安排人送饭；主要困难是钱和出行。{disease}{span}。",
                "膏方门诊：{herb}、{herb}、{herb}、{herb}，水煎两次，早晚分服；另服王氏连朴饮加减。",
                "处方：{herb}，{herb}，{herb}。方解：黄芪补气，白术健脾，柏子仁安神，余药调和。忌生冷。",
                "量表：汉密尔顿抑郁量表18分，匹兹堡睡眠指数12分，简明精神状态检查26分；{sign}。",
                "宣教：{disease}病人要少盐、少油，多走路；方法简单，贵在坚持，别信偏方。{drug}{dose}。",
                "访谈提纲：病前性格、家庭支持、经济来源、对{disease}的认识、对{procedure}的顾虑，全程约一小时。",
            ),
        ),
        (
            0.6,
            (
                "约下周门诊，空腹，带上{drug}的空盒，高峰时段人多，早点来。",
                "以上由当班人员记录，家属已签字，{done}。{procedure}另行通知。",
                "下一步：继续{drug}，{dose}；{finding}，暂不处理；温水泡脚，安静休息。",
                "备注：普通话不流利，说方言，家属翻译；{complaint}，过敏史不详。",
            ),
        ),
    )

    def noise(self, rng: Random) -> Callable[[str], str] | None:
        """Some type blanks for commas, some for full stops too, some half-width marks."""
        chance = rng.random()
        if chance < 0.06:
            return lambda text: text.replace("，", " ").replace("。", " ")
        if chance < 0.16:
            return lambda text: text.replace("，", " ")
        if chance < 0.24:
            return lambda text: text.replace("，", ",").replace("：", ":")
        return None

    def slot(self, case: Case, slot: str) -> Piece | None:
        if not (match := _WHO.fullmatch(slot)):
            return None
        who, form = match.groups()
        name, length = self._who(case, who)
        given, surname = name[length:], name[:length]
        woman = given in _WOMEN
        if form is None:
            return Piece(name, "PERSON")
        if form == "r":
            women = ("女儿", "老伴", "儿媳", "妻子", "外甥女")
            return Piece(_of(women if woman else ("儿子", "女婿", "丈夫", "孙子", "侄子"), name))
        if form in "gk":
            short = name.split("·")[0] if not length else given if len(given) == 2 else name
            if len(given) == 1 and ord(name[0]) % 2:
                short = given * 2 if woman else "阿" + given
            if form == "g":
                return Piece(short, "PERSON")
            return Piece(short, "PERSON", behind=_of(("姐", "婶", "阿姨") if woman else ("叔", "哥", "大爷"), name))
        if not length:
            surname = name.split("·")[0]
        elif form == "n":
            return Piece(_of(("老", "小"), name) + surname, "PERSON")
        elif form == "m":
            return Piece(surname + _of(("某", "某某"), name), "PERSON")
        worker = who in _WORKERS or form == "t"
        return Piece(surname, "PERSON", behind=_of(self.titles if worker else _MADAM if woman else _SIR, name))

    def _who(self, case: Case, who: str) -> tuple[str, int]:
        known = {"patient": case.patient, "kin": case.kin[0], "kin2": case.kin[1]}
        workers = dict(zip(("doctor", "doctor2", "nurse", "tech"), case.doctors, strict=True))
        if person := (known | workers).get(who):
            return person
        if who not in case.others:
            case.others[who] = self._other(case.rng, who)
        return case.others[who]

    def _other(self, rng: Random, who: str) -> tuple[str, int]:
        if len(who) == 1:
            return self.people.name(rng)
        surname = self.people.surname(rng)
        return surname + rng.choice(_MEN if who[0] == "m" else _WOMEN), len(surname)

    def address(self, rng: Random) -> str:
        place = rng.choice(
            (
                "温岭市太平街道",
                "襄阳市樊城区",
                "柳州市鱼峰区",
                "福建省晋江市青阳街道",
                "河北省保定市莲池区",
                "四川省眉山市东坡区",
            )
        )
        if rng.random() < 0.35:
            return f"{place}{rng.choice(('下洋', '石桥', '杨柳', '大塘', '双井'))}村{rng.randint(1, 15)}组{rng.randint(1, 80)}号"
        road = rng.choice(("万昌中路", "长虹路", "屏山大道", "崇德路", "七一路", "东坡大道"))
        estate = rng.choice(("", "金色家园", "和顺小区", "铁路新村", "福星苑"))
        home = f"{rng.randint(1, 25)}栋{rng.randint(1, 20)}0{rng.randint(1, 4)}室"
        return f"{place}{road}{rng.randint(1, 600)}号{estate}{home}"

    def date(self, rng: Random, day: dt.date) -> str:
        y, m, d = day.year, day.month, day.day
        return rng.choice(
            (f"{y}年{m}月{d}日", f"{y}.{m}.{d}", f"{y}-{m:02d}-{d:02d}", f"{y}/{m}/{d}", f"{y}年{m}月{d}号")
        )

    def spell(self, rng: Random, kind: str, value: str) -> str:
        if kind.endswith("mobile") and rng.random() < 0.25:
            joint = rng.choice("- ")
            return joint.join((value[:3], value[3:7], value[7:]))
        if kind == "hotline":
            return f"{value[:3]}-{value[3:6]}-{value[6:]}"
        if kind == "bank_card" and rng.random() < 0.3:
            return " ".join(value[i : i + 4] for i in range(0, len(value), 4))
        return value

    def record_number(self, rng: Random, kind: str) -> str:
        return {
            "record_no": "ZY" + values.digits(rng, 8),
            "visit_no": values.digits(rng, 9),
            "exam_no": "DR" + values.digits(rng, 8),
            "path_no": f"B{rng.randint(19, 24)}-{values.digits(rng, 5)}",
        }[kind]
